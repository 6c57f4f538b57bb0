-- Properties that have each product now, and how many are new, the most frequent product first.
select * from {{ ref('product_adoption') }}
where started_month = 'all'
order by
    properties_on desc,
    product asc
