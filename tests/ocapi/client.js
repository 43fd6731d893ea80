// client.js -- the real OCAPI client, driven by lines of JSON: one order in, one answer out.
//
//   {"new": {basePath, defaultHeaders, ...}}               another client
//   {"set": {name: value}}                                 its header fields from now on; null: none
//   {"api": "BasketsApi", "call": "postBaskets", "with": [...]}
//
// The answer to a call: {"status", "headers", "text", "data"} as it came and as the client made it
// out to be, or {"fault"} as the client rejects.
"use strict";

const ShopApi = require("commercecloud-ocapi-client");
const lines = require("readline").createInterface({ input: process.stdin });

let client;

async function carryOut(order) {
    if (order.new) {
        // The library keeps what an earlier client was given where a later one is given nothing.
        client = new ShopApi.ApiClient({ overrideHttpPut: true, enableCookies: false, ...order.new });
        return {};
    }
    if (order.set) {
        for (const [name, value] of Object.entries(order.set)) {
            if (value === null) delete client.defaultHeaders[name];
            else client.defaultHeaders[name] = value;
        }
        return {};
    }
    const api = new ShopApi[order.api](client);
    try {
        const { data, response } = await api[order.call + "WithHttpInfo"](...order.with);
        return { status: response.status, headers: response.header, text: response.text, data };
    } catch (error) {
        return { fault: error instanceof Error ? { error: String(error) } : error };
    }
}

(async () => {
    for await (const line of lines) {
        process.stdout.write(JSON.stringify(await carryOut(JSON.parse(line))) + "\n");
    }
})();
