-- How fast are differences repaired? One row about the last seven days, and what is still open.
with episodes as (
    select
        opened_at,
        closed_at is null as is_open,
        case
            when closed_as = 'repaired' and closed_at >= {{ utc_now() }} - interval '7' day
                then minutes
        end as minutes
    from {{ ref('feature_mismatch_episodes') }}
)

select
    count(minutes) as repaired,
    cast(median(minutes) as int) as median_minutes,
    max(minutes) as longest_minutes,
    count(case when is_open then 1 end) as still_open,
    min(case when is_open then opened_at end) as open_since
from episodes
