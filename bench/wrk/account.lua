-- The account of a run as one line of JSON, for the scripts beside this.

return function(summary, latency, sent)
  local errors = summary.errors
  print(string.format(
    '{"sent":%d,"answers":%d,"not_200":%d,"broken":%d,"seconds":%.3f,"p50_ms":%.3f,'
      .. '"p99_ms":%.3f,"p999_ms":%.3f,"max_ms":%.3f}', sent, summary.requests, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3,
    latency.max / 1e3))
end
