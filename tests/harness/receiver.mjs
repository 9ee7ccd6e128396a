// A receiver of webhooks on this machine, which checks what it gets as real ones
// do: with the published package.
import { once } from "node:events";
import http from "node:http";
import { Webhook } from "standardwebhooks";
import { until } from "./server.mjs";

// What the server needs to be allowed to reach it.
export const allowLoopback = ["--allow-cidr", "127.0.0.0/8"];

export class Receiver {
  constructor() {
    this.got = []; // {headers, body, event: what its secret verified}
    this.secrets = [];
    this.status = 200;
  }

  async start(t) {
    this.server = http.createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString();
      const one = { headers: request.headers, body, event: this.verified(request.headers, body) };
      response.writeHead(this.status, { "content-type": "text/plain" });
      response.end(`answered ${this.status}`);
      this.got.push(one);
    });
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    this.url = `http://127.0.0.1:${this.server.address().port}/hook`;
    t.after(() => {
      this.server.closeAllConnections();
      this.server.close();
    });
    return this;
  }

  verified(headers, body) {
    for (const secret of this.secrets)
      try {
        return new Webhook(secret).verify(body, headers);
      } catch {
        // the next one
      }
    return null;
  }

  // All that came, once there are that many.
  async gets(count) {
    await until(() => this.got.length >= count, { timeout: 20000, what: `request ${count}` });
    return this.got;
  }
}
