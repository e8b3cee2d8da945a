-- Sends an exact number of postbacks, each with an id of its own, and counts the answers by kind.
-- wrk -s unique.lua URL -- PATH COUNT PREFIX
--
-- A thread sends its share and then, while the last answers are on their way, asks for /health. It
-- stops when each of its postbacks is answered, and says so; wrk itself would sleep until its time is
-- over, so whoever started it interrupts it when both threads are done.

local threads = {}

function setup(thread)
  thread:set("thread_index", #threads)
  table.insert(threads, thread)
end

function init(args)
  path, total, prefix = args[1], tonumber(args[2]), args[3]
  -- Two threads: one sends the even numbers, the other the odd ones. The test runs two.
  thread_count = 2
  next_number = thread_index
  share = math.floor((total - thread_index + thread_count - 1) / thread_count)
  success, duplicate, other = 0, 0, 0
  -- wrk asks the first thread for one request that it only looks at and never sends.
  looked_at = thread_index ~= 0
end

function request()
  if not looked_at or next_number >= total then
    looked_at = true
    return wrk.format("GET", "/health")
  end
  local n = next_number
  next_number = n + thread_count
  local sale, earning = n % 10007, n % 101
  return wrk.format("GET", string.format(
    "%s?conversion_id=%s-%d&usd_sale_amount=%d.%02d&usd_earning=%d.%02d&sub_id=s%d", path, prefix,
    n, math.floor(sale / 100), sale % 100, math.floor(earning / 100), earning % 100, n))
end

function response(status, headers, body)
  if status == 200 and body:find('"status":"success"', 1, true) then
    success = success + 1
  elseif status == 200 and body:find('"status":"duplicate"', 1, true) then
    duplicate = duplicate + 1
  elseif body:find('"conversion_id"', 1, true) or status ~= 200 then
    other = other + 1
  end
  if success + duplicate + other >= share and not told then
    told = true
    wrk.thread:stop()
    print("thread done")
    io.flush()
  end
end

function done(summary, latency, requests)
  local counts = { success = 0, duplicate = 0, other = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(counts) do
      counts[name] = counts[name] + thread:get(name)
    end
  end
  for name, value in pairs(counts) do
    print(string.format("count %s %d", name, value))
  end
  print(string.format("count socket_errors %d", summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout))
end
