// express.js -- who a session's cookie belongs to, by express-session and connect-redis; and the
// customer's basket, out of the same Redis.
//
//   node express.js SECRET REDIS_PORT      prints the port it listens on
"use strict";

const express = require("express");
const session = require("express-session");
const { RedisStore } = require("connect-redis");
const { createClient } = require("redis");

async function main([secret, redisPort]) {
  const client = createClient({ socket: { host: "127.0.0.1", port: Number(redisPort) } });
  await client.connect();

  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.use(session({
    store: new RedisStore({ client, disableTouch: true }),
    secret,
    resave: false,
    saveUninitialized: false,
  }));
  app.get("/", (request, response) => {
    if (!request.session.customer) {
      response.status(401).end();
      return;
    }
    response.set("X-Customer-Id", String(request.session.customer));
    response.set("X-Customer-Login", request.session.login);
    response.status(204).end();
  });
  app.get("/basket", async (request, response) => {
    const { customer } = request.session;
    const basket = customer && await client.get(`basket:${customer}`);
    if (!basket) {
      response.status(401).end();
      return;
    }
    const { id, lines } = JSON.parse(basket);
    const total = lines.reduce((sum, line) => sum + line.quantity * Number(line.price), 0);
    response.json({ id, owner: customer, lines, total: total.toFixed(2) });
  });
  const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
}

main(process.argv.slice(2));
