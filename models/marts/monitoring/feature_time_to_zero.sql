-- One row per rise: a run and product with more mismatches than in the run before.
with history as (
    select
        *,
        lag(mismatched, 1, 0) over (partition by product order by measured_at, run_id)
            as mismatched_before
    from {{ ref('feature_accuracy_history') }}
),

-- While the guard is tripped, nothing is also what an empty replica shows.
zeros as (
    select
        product,
        measured_at
    from history
    where
        mismatched = 0
        and not is_guard_tripped
),

final as (
    select
        history.run_id,
        history.product,
        history.measured_at as rose_at,
        history.mismatched_before,
        history.mismatched,
        min(zeros.measured_at) as zero_at,
        {{ dbt.datediff('history.measured_at', 'min(zeros.measured_at)', 'minute') | trim }}
            as minutes_to_zero
    from history
    left join zeros
        on
            history.product = zeros.product
            and history.measured_at < zeros.measured_at
    where history.mismatched > history.mismatched_before
    group by
        history.run_id,
        history.product,
        history.measured_at,
        history.mismatched_before,
        history.mismatched
)

select * from final
