-- resolve.lua -- wrk script: GET /resolve with an AUTH Session-Id, drawn anew for each request.
--
--   wrk -t1 ... -s resolve.lua URL -- HOST KEY SESSIONS DRAW DEPTH SEED
--
-- DRAW is `uniform` or `log` (log-uniform: half of the draws fall into the square root of
-- SESSIONS). DEPTH requests go out with one write. The text of the requests is laid out once;
-- a draw only writes its 32 hexadecimal digits over the last ones. done() prints for bench/run
-- a line of `name=value` pairs and one of the latencies, `microseconds:count`.
--
-- Session `index` has the same identifier here and in fill.c: four steps of xorshift32
-- (Marsaglia 2003), in the shape of a version 4 UUID.

local bit = require "bit"
local ffi = require "ffi"
local band, bor, bxor, lshift, rshift = bit.band, bit.bor, bit.bxor, bit.lshift, bit.rshift
local random, exp, floor = math.random, math.exp, math.floor

local digits = ffi.new("uint8_t[16]", { string.byte("0123456789abcdef", 1, 16) })
local text, text_len, place = nil, 0, {}
local sessions, depth, log_sessions
local seen

-- For done(), which runs in a state of its own and reads these of the thread.
drawn = 0
distinct = 0

local thread

function setup(t)
	thread = t
end

function init(args)
	local host, key, draw = args[1], args[2], args[4]
	local head = "GET /resolve HTTP/1.1\r\nHost: " .. host .. "\r\nX-Api-Key: " .. key ..
		"\r\nSession-Id: SID:AUTH:" .. host .. ":"
	local one = head .. "00000000-0000-4000-8000-000000000000\r\n\r\n"

	sessions, depth = tonumber(args[3]), tonumber(args[5])
	log_sessions = draw == "log" and math.log(sessions) or nil
	text_len = #one * depth
	text = ffi.new("uint8_t[?]", text_len + 1, string.rep(one, depth))
	for i = 1, depth do
		place[i] = (i - 1) * #one + #head
	end
	seen = ffi.new("uint8_t[?]", sessions)
	math.randomseed(tonumber(args[6]))
end

local function step(x)
	x = bxor(x, lshift(x, 13))
	x = bxor(x, rshift(x, 17))
	return bxor(x, lshift(x, 5))
end

-- The `count` hexadecimal digits that begin at bit `from`, highest first.
local function put(at, x, from, count)
	for i = 0, count - 1 do
		text[at + i] = digits[band(rshift(x, from - 4 * i), 15)]
	end
end

local function put_identifier(at, index)
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
	if log_sessions then
		return floor(exp(random() * log_sessions)) - 1
	end
	return random(0, sessions - 1)
end

function request()
	for i = 1, depth do
		local index = draw_index()

		drawn = drawn + 1
		if seen[index] == 0 then
			seen[index] = 1
			distinct = distinct + 1
		end
		put_identifier(place[i], index)
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
