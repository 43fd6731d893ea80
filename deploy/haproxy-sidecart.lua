-- haproxy-sidecart.lua -- asks sidecart about the head of a request. Nothing to change here.
--
-- `http-request lua.sidecart REQUIRE` asks for /resolve?require=REQUIRE. Admitted: the fields of
-- `identity` replace what the client sent under their names, and txn.sidecart is `admitted`.
-- Refused: sidecart's answer is the client's. Whatever else happens, txn.sidecart stays unset
-- and haproxy.cfg has to deny the request.

local identity = {
	"x-session-kind", "x-session-key", "x-customer-id", "x-customer-login", "x-basket-id",
	"x-client-name", "x-client-scopes", "x-auth-via", "session-id",
}

-- What sidecart looks at.
local proofs = {
	"host", "authorization", "x-api-key", "session-id", "cookie",
	"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
}

-- What the client is told with a refusal.
local reasons = {
	"content-type", "cache-control", "retry-after", "session-id", "www-authenticate",
	"x-resolve-error",
}

local function question(txn)
	local sent, asked = txn.http:req_get_headers(), {}

	for _, name in ipairs(proofs) do
		asked[name] = sent[name]
	end
	asked["x-forwarded-method"] = { txn.f:method() }
	asked["x-forwarded-uri"] = { txn.f:pathq() }
	return asked
end

local function refuse(txn, answer)
	local reply = txn:reply{ status = answer.status, body = answer.body }

	for _, name in ipairs(reasons) do
		for _, value in pairs(answer.headers[name] or {}) do
			reply:add_header(name, value)
		end
	end
	txn:done(reply)
end

local function sidecart(txn, require)
	local answer = core.httpclient():get{
		url = "http://sidecart/resolve?require=" .. require,
		dst = "abns@sidecart-ask",
		headers = question(txn),
	}

	if answer.status >= 400 then
		refuse(txn, answer)
	end
	if answer.status ~= 204 then
		return
	end
	for _, name in ipairs(identity) do
		txn.http:req_del_header(name)
		for _, value in pairs(answer.headers[name] or {}) do
			txn.http:req_add_header(name, value)
		end
	end
	txn:set_var("txn.sidecart", "admitted")
end

core.register_action("sidecart", { "http-req" }, sidecart, 1)
