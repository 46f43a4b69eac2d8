// Client of a language server over stdio: JSON-RPC messages, each after its length.
"use strict";
const { spawn } = require("child_process");

class Client {
  constructor(command, folder, onNotification, onEnd) {
    this.onNotification = onNotification;
    this.waiting = new Map();
    this.next = 1;
    this.data = Buffer.alloc(0);
    this.ended = false;
    this.stopping = false;
    this.server = spawn(command[0], command.slice(1), { cwd: folder });
    this.server.stdout.on("data", (data) => this.read(data));
    this.server.stderr.resume();
    this.server.stdin.on("error", () => {}); // the end of the process says it
    const end = (why) => {
      if (this.ended) return;
      this.ended = true;
      for (const { reject } of this.waiting.values()) reject(new Error(why));
      this.waiting.clear();
      if (!this.stopping) onEnd(why);
    };
    this.server.on("error", (error) => end(error.message));
    this.server.on("exit", (code) => end(`exit status ${code}`));
  }

  read(data) {
    this.data = Buffer.concat([this.data, data]);
    for (;;) {
      const end = this.data.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = Number(/Content-Length: *(\d+)/i.exec(this.data.toString("ascii", 0, end))[1]);
      const stop = end + 4 + length;
      if (this.data.length < stop) return;
      const message = JSON.parse(this.data.toString("utf8", end + 4, stop));
      this.data = this.data.subarray(stop);
      this.take(message);
    }
  }

  take(message) {
    if (message.method !== undefined) {
      if (message.id === undefined) this.onNotification(message.method, message.params);
      else this.send({ id: message.id, result: null }); // a request of the server
      return;
    }
    const waits = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (waits === undefined) return;
    if (message.error) waits.reject(new Error(message.error.message));
    else waits.resolve(message.result);
  }

  send(message) {
    const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }), "utf8");
    this.server.stdin.write(`Content-Length: ${body.length}\r\n\r\n`);
    this.server.stdin.write(body);
  }

  notify(method, params) {
    if (!this.ended) this.send({ method, params });
  }

  request(method, params) {
    if (this.ended) return Promise.reject(new Error("the server has ended"));
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.send({ id, method, params });
    });
  }

  async stop() {
    if (this.ended) return;
    this.stopping = true;
    await this.request("shutdown", null).catch(() => {});
    this.notify("exit", null);
  }
}

module.exports = { Client };
