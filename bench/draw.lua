-- draw.lua -- wrk script: one request, sent again and again with an id drawn anew for each.
--
--   wrk -t1 ... -s draw.lua URL -- TEMPLATE IDS COUNT DRAW DEPTH SEED RATE
--
-- TEMPLATE is a file with the bytes of the request; the `@` in it, in one place or several, stand
-- where the id goes, as many as it has bytes, or there is none. IDS is a file of ids of one
-- length, a line each, or `uuid`: then session `index` has the identifier it has in fill.c, four
-- steps of xorshift32 (Marsaglia 2003) in the shape of a version 4 UUID. COUNT of them are drawn
-- from; DRAW is `uniform`, `log` (log-uniform: half of the draws fall into the square root of
-- COUNT), or `turn`: each in its turn, from that of number SEED on. DEPTH requests go out with
-- one write, RATE of them a second on all connections together, or 0: as fast as they are
-- answered. done() prints for harness.py a line of `name=value` pairs and one of the latencies,
-- `microseconds:count`.

local bit = require "bit"
local ffi = require "ffi"
local band, bor, bxor, lshift, rshift = bit.band, bit.bor, bit.bxor, bit.lshift, bit.rshift
local random, exp, floor = math.random, math.exp, math.floor

local digits = ffi.new("uint8_t[16]", { string.byte("0123456789abcdef", 1, 16) })
local text, text_len, places = nil, 0, {}
local ids, id_len = nil, 0
local count, depth, log_count, turn, one_len
local seen

ffi.cdef [[
	int open(const char *path, int flags);
	int close(int fd);
	void *mmap(void *at, size_t len, int prot, int flags, int fd, long offset);
	struct timespec { long s, ns; };
	int clock_gettime(int clock, struct timespec *t);
]]
local PROT_READ, MAP_SHARED, CLOCK_MONOTONIC = 1, 1, 1

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

-- A file's bytes without reading them: there may be a gigabyte of tokens.
local function map_file(name)
	local f = assert(io.open(name, "rb"))
	local len = f:seek("end")
	local fd = ffi.C.open(name, 0)
	local at = ffi.C.mmap(nil, len, PROT_READ, MAP_SHARED, fd, 0)

	f:close()
	ffi.C.close(fd)
	assert(ffi.cast("intptr_t", at) ~= -1, "the file of ids cannot be mapped")
	return ffi.cast("const uint8_t *", at), len
end

-- Where the bytes of an id go: runs of places, each with what it takes.
local function find_places(one)
	local from, to = one:find("@+")

	while from do
		places[#places + 1] = { at = from - 1, from = id_len, len = to - from + 1 }
		id_len = id_len + to - from + 1
		from, to = one:find("@+", to + 1)
	end
end

local function use_ids(name)
	local len

	ids, len = map_file(name)
	assert(len >= count * (id_len + 1) and ids[id_len] == 10, "ids are as long as their place")
end

local function use_uuids()
	assert(#places == 1 and id_len == 36, "a UUID has 36 characters")
	for i = 0, depth - 1 do
		ffi.copy(text + i * one_len + places[1].at, "00000000-0000-4000-8000-000000000000", 36)
	end
end

local function now_ms()
	local t = ffi.new("struct timespec")

	ffi.C.clock_gettime(CLOCK_MONOTONIC, t)
	return tonumber(t.s) * 1000 + tonumber(t.ns) / 1e6
end

-- wrk asks how many milliseconds a connection that was answered is to wait. A schedule that all
-- of them share keeps the rate, however long answers take; one that fell behind by more than a
-- tenth of a second lets the rest go.
local function keep_rate(rate)
	local due = now_ms()

	function delay()
		local now = now_ms()

		due = math.max(due + depth * 1000 / rate, now - 100)
		return math.max(0, floor(due - now + random()))
	end
end

function init(args)
	local one = read_file(args[1])
	local draw, rate = args[4], tonumber(args[7])

	count, depth = tonumber(args[3]), tonumber(args[5])
	log_count = draw == "log" and math.log(count) or nil
	turn = draw == "turn" and tonumber(args[6]) - 1 or nil
	math.randomseed(tonumber(args[6]))
	text_len = #one * depth
	text = ffi.new("uint8_t[?]", text_len + 1, string.rep(one, depth))
	one_len = #one
	seen = ffi.new("uint8_t[?]", count)
	find_places(one)
	if id_len > 0 and args[2] == "uuid" then
		use_uuids()
	elseif id_len > 0 then
		use_ids(args[2])
	end
	if rate > 0 then
		keep_rate(rate)
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
	if turn then
		turn = turn + 1
		return turn % count
	end
	if log_count then
		return floor(exp(random() * log_count)) - 1
	end
	return random(0, count - 1)
end

local function put_id(at, index)
	local id

	if not ids then
		put_uuid(at + places[1].at, index)
		return
	end
	id = ids + index * (id_len + 1)
	for i = 1, #places do
		ffi.copy(text + at + places[i].at, id + places[i].from, places[i].len)
	end
end

function request()
	for i = 0, id_len > 0 and depth - 1 or -1 do
		local index = draw_index()

		drawn = drawn + 1
		if seen[index] == 0 then
			seen[index] = 1
			distinct = distinct + 1
		end
		put_id(i * one_len, index)
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
