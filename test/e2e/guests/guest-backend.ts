// What differs between backends by design, for the suite in guest-conformance.ts: everything else is the same for all.

/** A backend, as the suite sees it. */
export interface GuestBackend {
  /** As `--backend` of the agent names it. */
  readonly name: string;
  /** Whether an address that its guest declined is offered to it again at once; otherwise it gets silence for a while. */
  readonly offersDeclinedAgain: boolean;
}

/** The agent's own responder. */
export const BUILTIN: GuestBackend = { name: 'builtin', offersDeclinedAgain: true };
