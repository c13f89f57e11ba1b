// What to do when a link is lost, in plain words. There is nothing to press, and that is the first thing to say.

const LOST = "This picture is old. There is nothing to press: the base listens on and records, and the picture comes back by itself. " +
  "To help it: raise or turn the antenna and look at its cable; fly higher, closer, or into line of sight; call the operator by voice.";
const AGAIN = " What was missed is asked for again.";
const WAITING = "Nothing came yet. At the drone: is the radio on, in range, on the same channel and profile, with the same key?";

/** A line for the operator about the chosen drone, or else the first one in trouble; "" when all is well. */
export function adviceFor(state, chosen) {
  if (state.transport) return "";  // recorded time: nothing can be done about it
  const order = [chosen, ...state.drones].filter(Boolean);
  const lost = order.find((d) => d.health === "lost") ?? order.find((d) => d.health === "waiting");
  if (!lost) return "";
  const whose = state.drones.length > 1 ? `Drone ${lost.drone_id}: ` : "";
  // Of a drone that is not the chosen one in a word: the chosen one's picture needs the room.
  if (lost.drone_id !== chosen?.drone_id) return `${whose}${lost.health === "lost" ? "LINK LOST" : "nothing came yet"}. Choose it to see what to do.`;
  if (lost.health === "waiting") return whose + WAITING;
  return `${whose}LINK LOST. ${LOST}${lost.can_ask ? AGAIN : ""}`;
}
