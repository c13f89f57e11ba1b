// The connection to the base. It comes back by itself; while it is away everybody is told.

const decoder = new TextDecoder();

export class Wire {
  constructor({ onMessage, onPicture, onContact }) {
    this.on = { onMessage, onPicture, onContact };
    this.watched = "{}";
    this.pause = 500;
    this.heardAt = performance.now();
    this.open();
    // A connection may hang without closing: silence counts as well.
    setInterval(() => this.check(), 500);
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => { this.pause = 500; this.sendWatched(); };
    socket.onmessage = (event) => this.take(event.data);
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.check();
      setTimeout(() => this.again(), this.pause);
      this.pause = Math.min(this.pause * 2, 4000);
    };
  }

  async again() {
    // A restarted base knows no cookie of the one before: the login page says so, an endless retry does not.
    try {
      const answer = await fetch("/api/state", { cache: "no-store" });
      if (answer.status === 401) { location.assign("/login"); return; }
    } catch { /* still away */ }
    this.open();
  }

  take(data) {
    this.heardAt = performance.now();
    this.check();
    if (typeof data === "string") { this.on.onMessage(JSON.parse(data)); return; }
    const length = new DataView(data).getUint32(0);
    const header = JSON.parse(decoder.decode(new Uint8Array(data, 4, length)));
    this.on.onPicture(header, new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
  }

  check() {
    const silent = (performance.now() - this.heardAt) / 1000;
    const away = silent > 3 || (this.socket.readyState !== WebSocket.OPEN && silent > 1);
    this.on.onContact(!away, silent);
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** drones: {id: {layer, half}} */
  watch(drones) {
    const wanted = JSON.stringify(drones);
    if (wanted === this.watched) return;
    this.watched = wanted;
    this.sendWatched();
  }

  sendWatched() { this.send({ do: "watch", drones: JSON.parse(this.watched) }); }

  painted(drone, serial) { this.send({ do: "painted", drone, serial }); }
}

/** POST; throws an Error with the base's own line. */
export async function post(name, body) {
  return answerOf(await fetch(`/api/${name}`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  }));
}

export async function get(path) { return answerOf(await fetch(`/api/${path}`)); }

async function answerOf(answer) {
  const body = await answer.json().catch(() => ({ error: `the base answers ${answer.status}` }));
  if (!answer.ok) throw new Error(body.error);
  return body;
}
