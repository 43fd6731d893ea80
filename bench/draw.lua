-- draw.lua -- wrk script: one request, sent again and again with an id drawn anew for each.
--
--   wrk -t1 ... -s draw.lua URL -- TEMPLATE IDS COUNT DRAW DEPTH SEED
--
-- TEMPLATE is a file with the bytes of the request; the `@` in it stand where the id goes, as
-- many as it has bytes, or there is none. IDS is a file of ids of one length, a line each, or
-- `uuid`: then session `index` has the identifier it has in fill.c, four steps of xorshift32
-- (Marsaglia 2003) in the shape of a version 4 UUID. COUNT of them are drawn from; DRAW is
-- `uniform` or `log` (log-uniform: half of the draws fall into the square root of COUNT).
-- DEPTH requests go out with one write. done() prints for harness.py a line of `name=value`
-- pairs and one of the latencies, `microseconds:count`.

local bit = require "bit"
local ffi = require "ffi"
local band, bor, bxor, lshift, rshift = bit.band, bit.bor, bit.bxor, bit.lshift, bit.rshift
local random, exp, floor = math.random, math.exp, math.floor

local digits = ffi.new("uint8_t[16]", { string.byte("0123456789abcdef", 1, 16) })
local text, text_len, place = nil, 0, {}
local ids, id_len
local count, depth, log_count
local seen

-- For done(), which runs in a state of its own and reads these of the thread.
drawn = 0
distinct = 0

local thread

function setup(t)
	thread = t
end

local function read_file(name)
	local f = assert(io.open(name, "rb"))
	local all = f:read("*a")

	f:close()
	return all
end

function init(args)
	local one = read_file(args[1])
	local from, to = one:find("@+")

	count, depth = tonumber(args[3]), tonumber(args[5])
	log_count = args[4] == "log" and math.log(count) or nil
	math.randomseed(tonumber(args[6]))
	text_len = #one * depth
	text = ffi.new("uint8_t[?]", text_len + 1, string.rep(one, depth))
	seen = ffi.new("uint8_t[?]", count)
	if not from then
		return
	end
	id_len = to - from + 1
	for i = 1, depth do
		place[i] = (i - 1) * #one + from - 1
	end
	if args[2] ~= "uuid" then
		local bytes = read_file(args[2])

		assert(#bytes >= count * (id_len + 1) and bytes:byte(id_len + 1) == 10,
			"ids are as long as their place")
		ids = ffi.new("uint8_t[?]", #bytes + 1, bytes)
	else
		assert(id_len == 36, "an UUID has 36 characters")
		for i = 1, depth do
			ffi.copy(text + place[i], "00000000-0000-4000-8000-000000000000", 36)
		end
	end
end

local function step(x)
	x = bxor(x, lshift(x, 13))
	x = bxor(x, rshift(x, 17))
	return bxor(x, lshift(x, 5))
end

-- The `count` hexadecimal digits that begin at bit `from`, highest first.
local function put(at, x, from, n)
	for i = 0, n - 1 do
		text[at + i] = digits[band(rshift(x, from - 4 * i), 15)]
	end
end

local function put_uuid(at, index)
	local a = step(index + 1)
	local b = step(a)
	local c = step(b)
	local d = step(c)

	b = bor(band(b, 0xffff0fff), 0x4000)
	c = bor(band(c, 0x3fffffff), 0x80000000)
	put(at, a, 28, 8)
	put(at + 9, b, 28, 4)
	put(at + 14, b, 12, 4)
	put(at + 19, c, 28, 4)
	put(at + 24, c, 12, 4)
	put(at + 28, d, 28, 8)
end

local function draw_index()
	if log_count then
		return floor(exp(random() * log_count)) - 1
	end
	return random(0, count - 1)
end

function request()
	for i = 1, id_len and depth or 0 do
		local index = draw_index()

		drawn = drawn + 1
		if seen[index] == 0 then
			seen[index] = 1
			distinct = distinct + 1
		end
		if ids then
			ffi.copy(text + place[i], ids + index * (id_len + 1), id_len)
		else
			put_uuid(place[i], index)
		end
	end
	return ffi.string(text, text_len)
end

function done(summary, latency)
	local e = summary.errors

	io.write(string.format("result requests=%d duration_us=%d bytes=%d errors=%d drawn=%d " ..
		"distinct=%d\nlatency", summary.requests, summary.duration, summary.bytes,
		e.connect + e.read + e.write + e.status + e.timeout,
		thread:get("drawn"), thread:get("distinct")))
	for i = 1, #latency do
		io.write(string.format(" %d:%d", latency(i)))
	end
	io.write("\n")
end
