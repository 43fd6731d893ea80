#!/bin/bash
# demo.sh -- serves a demo shop: customer ada (password ada), a trusted API key, an OCAPI client id.
# The store stands in ./var and is kept; SIDECART_DATA and SIDECART_LISTEN set other places.
set -euo pipefail
cd "$(dirname "$0")"

export SIDECART_DATA=${SIDECART_DATA:-./var}
address=${SIDECART_LISTEN:-127.0.0.1:8080}
sidecart=build/sidecart
key_file=$SIDECART_DATA/demo.key
client_file=$SIDECART_DATA/demo.client
# There is no certificate here: the session bridge of OCAPI speaks plain HTTP.
export SIDECART_ENFORCE_HTTPS=${SIDECART_ENFORCE_HTTPS:-off}

# What a command says is shown only where it fails.
quietly() {
	local words
	words=$("$@" 2>&1 >&3) || { echo "$words" >&2; exit 1; }
}

umask 077
mkdir -p "$SIDECART_DATA"
if [ ! -s "$key_file" ]; then
	$sidecart key revoke demo >/dev/null 2>&1 || :
	quietly $sidecart key add demo --scope trusted 3>"$key_file"
	echo "Made an API key that may use Session-Id; it is kept in $key_file."
fi
if [ ! -s "$client_file" ]; then
	$sidecart key revoke demo-client >/dev/null 2>&1 || :
	quietly $sidecart key add demo-client --scope shop 3>"$client_file"
	echo "Made a client id for OCAPI; it is kept in $client_file."
fi
if ! $sidecart product show 1 >/dev/null 2>&1; then
	quietly $sidecart product import - 3>/dev/null <<-END
		id,name,price,currency,tax_rate,stock
		1,T-shirt,10.00,EUR,0.21,20
		2,Mug,6.50,EUR,0.21,
	END
	echo "Made a price book of two products."
fi
if ! $sidecart customer show ada >/dev/null 2>&1; then
	quietly $sidecart customer add ada --email ada@example.com --password-stdin \
		3>/dev/null <<<ada
	echo "Made the customer ada with the password ada."
fi

cat <<END

sidecart will answer on http://$address. In another terminal, in this folder, paste:

  export SIDECART_DATA=$SIDECART_DATA
  KEY="X-Api-Key: \$(cat $key_file)"
  ANON='Session-Id: SID:ANON:${address%:*}:tour'
  AUTH='Session-Id: SID:AUTH:${address%:*}:tour'

Who is this? A guest (204, X-Session-Kind: guest):
  curl -si 'http://$address/resolve?require=any' -H "\$KEY" -H "\$ANON"

Put two T-shirts into the basket (200, total_incl_tax 24.20):
  curl -si 'http://$address/api/basket/add-product/' -H "\$KEY" -H "\$ANON" -H 'Content-Type: application/json' -d '{"url":"/api/products/1/","quantity":2}'; echo

Log in (200, and the Session-Id is AUTH now; the basket is hers):
  curl -si 'http://$address/api/login/' -H "\$KEY" -H "\$ANON" -H 'Content-Type: application/json' -d '{"username":"ada","password":"ada"}'; echo

Who is this now? Customer ada (204, X-Customer-Login: ada):
  curl -si 'http://$address/resolve' -H "\$KEY" -H "\$AUTH"

Her basket (200):
  curl -si 'http://$address/api/basket/' -H "\$KEY" -H "\$AUTH"; echo

The same over OCAPI: a token for ada, the header that all else takes (200):
  CLIENT="x-dw-client-id: \$(cat $client_file)"
  SHOP=http://$address/s/RefArch/dw/shop/v20_9
  TOKEN=\$(curl -si "\$SHOP/customers/auth" -u ada:ada -H "\$CLIENT" -H 'Content-Type: application/json' -d '{"type":"credentials"}' | tee /dev/stderr | sed -n 's/\r//; /^Authorization: /p')

The bridge: a website's session for the token (204, its cookies):
  curl -si -X POST "\$SHOP/sessions" -H "\$TOKEN" -H 'Content-Length: 0'

End her sessions from the command line, and ask again (401 at once, by Session-Id and by token):
  $sidecart session revoke --customer ada
  curl -si 'http://$address/resolve' -H "\$KEY" -H "\$AUTH"
  curl -si 'http://$address/resolve' -H "\$TOKEN"

Ctrl-C stops the server; what it knows stays in $SIDECART_DATA.

END

# On a terminal the server becomes its foreground group: Ctrl-C is the server's alone, which
# ends with 0, and make has nothing to complain of.
[ ! -t 0 ] || set -m
$sidecart serve
