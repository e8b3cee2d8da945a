-- One page again and again: what HTTP costs without a database, or one repeat after the other.
-- wrk -s page.lua URL/PAGE [-- close]

local account = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "account.lua")

function init(args)
  if args[1] == "close" then wrk.headers["Connection"] = "close" end
end

function done(summary, latency, requests)
  account(summary, latency, summary.requests)
end
