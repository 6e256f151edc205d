// What differs between backends by design, for the suite in guest-conformance.ts: everything else is the same for all.
// Why each differs: docs/dhcp.md, and ADR 17 for dnsmasq.

/** A backend, as the suite sees it. */
export interface GuestBackend {
  /** As `--backend` of the agent names it. */
  readonly name: 'builtin' | 'dnsmasq';
  /** Whether an address that its guest declined is offered to it again at once; otherwise it rests until hosts are read anew. */
  readonly offersDeclinedAgain: boolean;
  /** Whether it refuses, to a MAC with a reservation, what another server was asked for. */
  readonly naksForOthers: boolean;
  /** Whether a refused renewal is told to the address that it came from alone; RFC 2131 §4.3.2 says by broadcast. */
  readonly naksByUnicast: boolean;
  /** Whether it tells the settings of the network to a MAC with a reservation, whatever address its INFORM comes from. */
  readonly informsAnywhere: boolean;
  /** Whether it answers what a relay passed on; nothing of Leasehold is set up for relays. */
  readonly answersRelays: boolean;
  /** Whether it refuses nothing while the control plane is away, when its table may be the one that is old. */
  readonly naksOnlyWhenSynchronised: boolean;
  /** Whether an agent that stands still is answered for until its authority ends. */
  readonly outlivesAgent: boolean;
}

/** The agent's own responder. */
export const BUILTIN: GuestBackend = {
  name: 'builtin',
  offersDeclinedAgain: true,
  naksForOthers: false,
  naksByUnicast: false,
  informsAnywhere: false,
  answersRelays: false,
  naksOnlyWhenSynchronised: true,
  outlivesAgent: false,
};

/** A dnsmasq for each network: it knows nothing of the control plane, remembers declines, and must be authoritative. */
export const DNSMASQ: GuestBackend = {
  name: 'dnsmasq',
  offersDeclinedAgain: false,
  naksForOthers: true,
  naksByUnicast: true,
  informsAnywhere: true,
  answersRelays: true,
  naksOnlyWhenSynchronised: false,
  outlivesAgent: true,
};
