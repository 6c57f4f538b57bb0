-- The time from a difference to its repair in the last seven days, and the open ones: one row.
with episodes as (
    select
        opened_at,
        closed_at,
        case
            when closed_at >= {{ utc_now() }} - interval '7' day and closed_as = 'repaired'
                then minutes
        end as minutes
    from {{ ref('feature_mismatch_episodes') }}
)

select
    count(minutes) as repaired,
    cast(median(minutes) as int) as median_minutes,
    max(minutes) as longest_minutes,
    count(*) - count(closed_at) as still_open,
    min(case when closed_at is null then opened_at end) as open_since
from episodes
