// What becomes true through somebody who does not tell us: asked again and again, with patience far beyond what is ever
// needed.

const ASK_EVERY_MS = 20;
const PATIENCE_MS = 30_000;

/** Asks until the answer is there; fails with `what` when it takes unreasonably long. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`Waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}
