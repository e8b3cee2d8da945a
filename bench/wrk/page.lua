-- One page again and again: what HTTP alone costs, without a database. wrk -s page.lua URL/PAGE

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    '{"answers":%d,"not_2xx":%d,"socket_errors":%d,"seconds":%.3f,"p50_ms":%.3f,"p99_ms":%.3f,'
      .. '"p999_ms":%.3f,"max_ms":%.3f}', summary.requests, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3,
    latency.max / 1e3))
end
