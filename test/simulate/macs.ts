// The MACs of a network's guests.

/** The `n`th MAC, from 0, of the `nth` network. */
export function macOf(nth: number, n: number): string {
  return `52:54:00:00:${twoDigits(nth)}:${twoDigits(n + 1)}`;
}

/** The first ones of a network. */
export function macsOf(nth: number, count: number): readonly string[] {
  return Array.from({ length: count }, (_, n) => macOf(nth, n));
}

function twoDigits(n: number): string {
  return n.toString(16).padStart(2, '0');
}
