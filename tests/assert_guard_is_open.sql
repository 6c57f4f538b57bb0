-- While the guard is tripped, has no verdict, or its build is too old, the Census relations are
-- empty, and that must not pass for "nothing differs".
{{ config(meta={'advice': none}) }}{# the verdict says it #}
{{ runs_after_census_relations() }}
with verdicts as (
    select
        count(*) as verdicts,
        count(case when not is_tripped and not {{ is_outdated() }} then 1 end) as open_verdicts
    from {{ ref('feature_sync_guard') }}
)

select * from verdicts
where
    verdicts <> 1
    or open_verdicts <> 1
