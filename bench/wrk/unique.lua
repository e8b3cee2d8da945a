-- Postbacks with an id of its own each, as fast as the server answers.
-- wrk -s unique.lua [--latency] URL -- PATH PREFIX [COPIES [close]]
--
-- Each thread counts its own ids: PREFIX-THREAD-N. Amounts are functions of N (N mod 10007 cents
-- sale, N mod 101 cents earning), so that the sums in the database can be checked from the ids that
-- stand there. COPIES > 1 sends each id so many times, from whichever connection is free next.
-- close: a new connection for each postback.
--
-- There is no response(): it would cost wrk more than the request costs the server. The last line
-- of the output is one JSON object with the account; an answer that is not 2xx is an error there.

local threads = {}

function setup(thread)
  thread:set("thread_index", #threads)
  table.insert(threads, thread)
end

function init(args)
  path, prefix = args[1], args[2]
  copies = tonumber(args[3] or copies_default or 1)
  headers = args[4] == "close" and { ["Connection"] = "close" } or nil
  sent = 0
end

function request()
  local n = math.floor(sent / copies)
  sent = sent + 1
  local sale, earning = n % 10007, n % 101
  return wrk.format("GET", string.format(
    "%s?conversion_id=%s-%d-%d&usd_sale_amount=%d.%02d&usd_earning=%d.%02d"
      .. "&sub_id=sub%d&media_id=media456&click_id=click789&offer_name=Offer"
      .. "&conversion_datetime=2025-01-15", path, prefix, thread_index, n,
    math.floor(sale / 100), sale % 100, math.floor(earning / 100), earning % 100, n % 1000),
    headers)
end

function done(summary, latency, requests)
  local sent_count = 0
  for _, thread in ipairs(threads) do
    sent_count = sent_count + thread:get("sent")
  end
  local errors = summary.errors
  print(string.format(
    '{"sent":%d,"answers":%d,"not_2xx":%d,"socket_errors":%d,"seconds":%.3f,"p50_ms":%.3f,'
      .. '"p99_ms":%.3f,"p999_ms":%.3f,"max_ms":%.3f}', sent_count, summary.requests,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency:percentile(99.9) / 1e3, latency.max / 1e3))
end
