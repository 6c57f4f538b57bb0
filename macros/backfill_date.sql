{# The day of the backfill: as_of_date, or, while the var is null, the day of an unfinished cohort, so that the hourly job
   does not replace it in the middle of a repair. #}
{% macro backfill_date() %}
    {% set at_build = ref("int_product_properties_at_build") %}
    {% if var("as_of_date") or not execute or not load_relation(this) or not load_relation(at_build) %}
        {{ return(as_of_date()) }}
    {% endif %}
    {% set select_unfinished %}
        select
            cast(cast(min(at_build.created_at) as date) as {{ dbt.type_string() }}) as cohort_date,
            count(*) as differing
        from {{ this }} as backfill
        inner join {{ at_build }} as at_build on backfill.reverse_etl_id_c = at_build.reverse_etl_id_c
        where at_build.is_mismatched
    {% endset %}
    {% set unfinished = run_query(select_unfinished).rows[0] %}
    {% if not unfinished[0] %}
        {{ return(as_of_date()) }}
    {% endif %}
    {% do log(
        "The backfill keeps the properties of " ~ unfinished[0] ~ ", because " ~ with_separators(unfinished[1]) ~ " of them"
        ~ " still differ. To replace them, run dbt build --vars 'as_of_date: YYYY-MM-DD'.",
        info=true,
    ) %}
    {{ return("cast('" ~ unfinished[0] ~ "' as date)") }}
{% endmacro %}
