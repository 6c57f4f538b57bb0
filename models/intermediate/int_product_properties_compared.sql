-- One row per Salesforce record that is not deleted: what it should hold, under Salesforce's own
-- column names, beside what it holds now (`current_…`).
{{ config(materialized=cross_catalog_materialization()) }}
{{ compare_properties() }}
