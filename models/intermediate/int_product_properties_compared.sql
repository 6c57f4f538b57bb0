-- One row per Salesforce record that is not deleted: the correct values under Salesforce's own
-- column names, beside the current ones (`current_…`).
{{ config(materialized=cross_catalog_materialization()) }}
{{ compare_properties() }}
