-- Postbacks with an id of its own each, as fast as the server answers.
-- wrk -s unique.lua [--latency] URL -- PATH PREFIX [OPTION ...]
--
-- Each thread counts its own ids: PREFIX-THREAD-N. Amounts are functions of N (N mod 10007 cents
-- sale, N mod 101 cents earning), so that the sums in the database can be checked from the ids that
-- stand there. Options:
--
--   copies=K      each id is sent K times, from whichever connection is free next
--   repeat=K      every K-th postback repeats the id of one that was sent some 1000 earlier
--   close         a new connection for each postback
--   pipeline=K    K postbacks in one write
--   post          POST with a JSON body
--   partners=K    PATH holds a %d, which becomes N mod K
--   scatter       ids begin with a hash, so that they fall all over the database's index
--
-- There is no response(): it would cost wrk more than the request costs the server. The last line
-- of the output is one JSON object with the account; an answer that is not 2xx is an error there.

local threads = {}
local account = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "account.lua")

function setup(thread)
  thread:set("thread_index", #threads)
  table.insert(threads, thread)
end

local function repeated(index)
  local far_enough = index >= repeat_distance
  return far_enough and index % repeat_every == repeat_every - 1 and index - repeat_distance
end

local query = "conversion_id=%s%s-%d-%d&usd_sale_amount=%d.%02d&usd_earning=%d.%02d"
  .. "&sub_id=sub%d&media_id=media456&click_id=click789&offer_name=Offer"
  .. "&conversion_datetime=2025-01-15"
local json = '{"conversion_id":"%s%s-%d-%d","usd_sale_amount":%d.%02d,"usd_earning":%d.%02d,'
  .. '"sub_id":"sub%d","media_id":"media456","click_id":"click789","offer_name":"Offer",'
  .. '"conversion_datetime":"2025-01-15"}'

function init(args)
  path, prefix = args[1], args[2]
  local options = {}
  for i = 3, #args do
    local name, value = args[i]:match("^(%l+)=?(%d*)$")
    options[name] = tonumber(value) or true
  end
  copies = options.copies or 1
  repeat_every = options["repeat"]
  -- What is repeated must not be a repeat itself.
  repeat_distance = repeat_every and 1000 % repeat_every == 0 and 1001 or 1000
  pipeline, partners, scatter = options.pipeline or 1, options.partners, options.scatter
  form = options.post and json or query
  method = options.post and "POST" or "GET"
  headers = {}
  if options.close then headers["Connection"] = "close" end
  if options.post then headers["Content-Type"] = "application/json" end
  if method == "GET" then
    -- The request but for what changes, so that the generator takes as little of the CPUs that it
    -- shares with the server as it can.
    local head, tail = wrk.format(method, "TARGET", headers):match("^(.-)TARGET(.*)$")
    request_form = head .. "%s?" .. form .. tail:gsub("%%", "%%%%")
  end
  sent = 0
end

local function postback()
  local n = math.floor(sent / copies)
  if repeat_every then n = repeated(n) or n end
  sent = sent + 1
  local sale, earning = n % 10007, n % 101
  local target = partners and string.format(path, n % partners) or path
  -- Knuth's multiplicative hash; small enough that a double holds the product.
  local hash = scatter and string.format("%08x-", n * 2654435761 % 4294967296) or ""
  local sale_units, sale_cents = math.floor(sale / 100), sale % 100
  local earning_units, earning_cents = math.floor(earning / 100), earning % 100
  if method == "GET" then
    return string.format(request_form, target, hash, prefix, thread_index, n, sale_units,
      sale_cents, earning_units, earning_cents, n % 1000)
  end
  return wrk.format(method, target, headers, string.format(form, hash, prefix, thread_index, n,
    sale_units, sale_cents, earning_units, earning_cents, n % 1000))
end

function request()
  if pipeline == 1 then return postback() end
  local requests = {}
  for i = 1, pipeline do requests[i] = postback() end
  return table.concat(requests)
end

function done(summary, latency, requests)
  local sent_count = 0
  for _, thread in ipairs(threads) do
    sent_count = sent_count + thread:get("sent")
  end
  account(summary, latency, sent_count)
end
