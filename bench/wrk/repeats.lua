-- Each conversion is reported twice, as by a network that fires on creation and on update: half of
-- the postbacks are repeats, most of them while their first copy is still in flight.
-- Arguments as for unique.lua.

copies_default = 2
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "unique.lua")
