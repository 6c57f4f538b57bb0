-- The share of properties that were right: the worst build of each of the last 90 days with one,
-- and the last build. While the guard was tripped the share is unknown, which counts as the worst.
with builds as (
    select
        run_id,
        measured_at,
        properties,
        mismatched,
        cast(measured_at as date) as measured_on,
        case
            when properties > 0 and not is_guard_tripped
                then cast(properties - mismatched as double) / properties
        end as share_right
    from {{ ref('feature_accuracy_history') }}
    where product = 'All products'
),

ranked as (
    select
        *,
        row_number() over (
            partition by measured_on
            order by share_right asc nulls first, measured_at desc, run_id asc
        ) as place,
        row_number() over (order by measured_at desc, run_id asc) as recency,
        dense_rank() over (order by measured_on desc) as day_number
    from builds
)

select
    measured_at,
    properties,
    mismatched,
    share_right
from ranked
where
    day_number <= 90
    and (place = 1 or recency = 1)
order by measured_at asc
