{# The one mapping: every select list, comparison, test and Census payload loops over it. #}
{% macro product_features() %}
    {{ return([
        {
            "name": "Fraud Detection",
            "source_prefix": "fraud",
            "flag": "fraud_detection_enabled_c",
            "start_date": "fraud_detection_start_date_c",
            "updated_date": "fraud_detection_updated_date_c",
        },
        {
            "name": "Income Verification",
            "source_prefix": "iv",
            "flag": "income_verification_enabled_c",
            "start_date": "income_verification_start_date_c",
            "updated_date": "income_verification_updated_date_c",
        },
        {
            "name": "ID Verification",
            "source_prefix": "idv",
            "flag": "id_verification_enabled_c",
            "start_date": "id_verification_start_date_c",
            "updated_date": "id_verification_updated_date_c",
        },
        {
            "name": "IDV Only Mode",
            "source_prefix": "idv_only",
            "flag": "idv_only_enabled_c",
            "start_date": "idv_only_start_date_c",
            "updated_date": "idv_only_updated_date_c",
        },
        {
            "name": "Connected Payroll",
            "source_prefix": "payroll_linking",
            "flag": "connected_payroll_enabled_c",
            "start_date": "connected_payroll_start_date_c",
            "updated_date": "connected_payroll_updated_date_c",
        },
        {
            "name": "Bank Linking",
            "source_prefix": "bank_linking",
            "flag": "bank_linking_enabled_c",
            "start_date": "bank_linking_start_date_c",
            "updated_date": "bank_linking_updated_date_c",
        },
        {
            "name": "Verification of Rent",
            "source_prefix": "vor",
            "flag": "verification_of_rent_enabled_c",
            "start_date": "vor_start_date_c",
            "updated_date": "vor_updated_date_c",
        },
    ]) }}
{% endmacro %}


{# What Census reads. #}
{% macro census_relations() %}
    {{ return([
        "product_property_feature_sync",
        "product_property_feature_recent",
        "product_property_feature_backfill",
        "product_property_create",
    ]) }}
{% endmacro %}


{% macro census_columns(relation=none) %}
    {% set columns = ["snappt_property_id_c", "reverse_etl_id_c"] %}
    {% for product in product_features() %}
        {% do columns.extend([product.flag, product.start_date, product.updated_date]) %}
    {% endfor %}
    {% if relation == "product_property_create" %}
        {% do columns.append("name") %}
    {% endif %}
    {{ return(columns) }}
{% endmacro %}


{# Salesforce's own name of a field: fraud_detection_enabled_c in the replica is Fraud_Detection_Enabled__c there. A
   field that every object has, such as name, ends without that suffix on both sides. #}
{% macro salesforce_field(column) %}
    {% if not column.endswith("_c") %}
        {{ return(column | capitalize) }}
    {% endif %}
    {% set spellings = {"etl": "ETL", "id": "ID", "idv": "IDV", "of": "of", "vor": "VOR"} %}
    {% set words = [] %}
    {% for word in column.split("_")[:-1] %}
        {% do words.append(spellings.get(word, word | capitalize)) %}
    {% endfor %}
    {{ return(words | join("_") ~ "__c") }}
{% endmacro %}


{# The select list of a Census relation: its columns, the dates in the type that Salesforce's fields have. #}
{% macro census_expressions(relation=none) %}
    {% set expressions = [] %}
    {% for column in census_columns(relation) %}
        {% set is_date = column.endswith("_date_c") %}
        {% do expressions.append(
            "cast(" ~ column ~ " as " ~ var("feature_date_type") ~ ") as " ~ column if is_date else column
        ) %}
    {% endfor %}
    {{ return(expressions) }}
{% endmacro %}


{# What Salesforce should hold of one product. A property without a feature row has nothing on. #}
{% macro expected_columns(product) -%}
    coalesce(features.{{ product.source_prefix }}_enabled, false) as {{ product.flag }},
    {{ salesforce_date("features." ~ product.source_prefix ~ "_enabled_at") }} as {{ product.start_date }},
    {{ salesforce_date("features." ~ product.source_prefix ~ "_updated_at") }} as {{ product.updated_date }}
{%- endmacro %}


{# Salesforce refuses a record with a date outside these years, flags and all. #}
{% macro salesforce_date(column) -%}
    case
        when {{ column }} >= timestamp '1700-01-01' and {{ column }} < timestamp '4001-01-01' then {{ column }}
    end
{%- endmacro %}


{% macro feature_columns(suffixes=["enabled", "enabled_at", "updated_at"]) %}
    {% set columns = [] %}
    {% for product in product_features() %}
        {% for suffix in suffixes %}
            {% do columns.append(product.source_prefix ~ "_" ~ suffix) %}
        {% endfor %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}


{% macro newest_update() -%}
    greatest({{ feature_columns(["updated_at"]) | join(", ") }})
{%- endmacro %}
