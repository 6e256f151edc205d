// Who may still answer in a network without serving it: which of them leave its document, and what it keeps of a host that
// is forgotten.
//
//   F1. What is kept of a host is set anew by every deletion, and counts only once the host is gone: of one that is there
//       its own document speaks (host-answers.ts).

import { networkNotFound, type Refused, type Result, success } from '../domain/errors.js';
import type { Host } from '../domain/host.js';
import type { FormerServer, KeptOfHost, Network, Placement } from '../domain/network.js';
import { becomeFormer } from '../domain/placement.js';
import { changeNetwork } from './change.js';
import { type Context, wallTime } from './context.js';
import type { HostAnswers } from './host-answers.js';

/** The former servers of a network without those that answer no more: done with its placement, or unable to. */
export function withoutGoneFormers(
  { hosts, view, clock }: Pick<Context, 'hosts' | 'view' | 'clock'>,
  answers: Pick<HostAnswers, 'answer'>,
  network: Network,
): Network {
  const { networkId } = network;
  const formerServers = network.formerServers.filter((former) => {
    const { hostId, hostUid, epoch } = former;
    if (answers.answer(networkId, former).silencedMs <= clock.now()) return false;
    // What has its name by now may be another machine.
    if (view.hosts.get(hostId)?.uid !== hostUid || !hosts.host(hostId)?.connected) return true;
    const table = hosts.table(hostId, networkId);
    return table !== undefined && (table.placementEpoch <= epoch || !table.serving);
  });
  return formerServers.length === network.formerServers.length ? network : { ...network, formerServers };
}

/**
 * Stops a host that is about to be forgotten in its networks, and makes what is known of it part of them. `refuse` is asked
 * right before every write; its refusal ends it.
 */
export function keepInNetworks(
  context: Pick<Context, 'store' | 'view' | 'clock' | 'tell'>,
  { uid }: Host,
  known: KeptOfHost,
  refuse: (network: Network) => Refused | undefined,
): Promise<Refused | undefined> {
  const isIts = ({ hostUid }: Placement | FormerServer) => hostUid === uid;
  const has = ({ placements, formerServers }: Network) => [...placements, ...formerServers].some(isIts);
  const { authorityCeilingS } = context.store.settings;
  return changeThose(context, has, refuse, (network) => {
    const epochs = network.placements.filter(isIts).map(({ epoch }) => epoch);
    const stopped = becomeFormer(network, epochs, authorityCeilingS, wallTime(context));
    return withFormers(stopped, (former) => (isIts(former) ? { ...withoutKept(former), ...known } : former));
  });
}

/** Takes back what was kept of a host that was not forgotten after all. */
export function dropKept(
  context: Pick<Context, 'store' | 'view' | 'tell'>,
  { uid }: Host,
  refuse: (network: Network) => Refused | undefined,
): Promise<Refused | undefined> {
  const isKept = ({ hostUid, silentForS, fenced }: FormerServer) =>
    hostUid === uid && (silentForS ?? fenced) !== undefined;
  const has = ({ formerServers }: Network) => formerServers.some(isKept);
  return changeThose(context, has, refuse, (network) =>
    withFormers(network, (former) => (isKept(former) ? withoutKept(former) : former)),
  );
}

async function changeThose(
  context: Pick<Context, 'store' | 'view' | 'tell'>,
  has: (network: Network) => boolean,
  refuse: (network: Network) => Refused | undefined,
  change: (network: Network) => Network,
): Promise<Refused | undefined> {
  for (const { networkId } of [...context.view.networks.values()].filter(has)) {
    const changed = await changeNetwork(context, networkId, (network): Result<Network> => {
      if (!network) return networkNotFound(networkId);
      return has(network) ? (refuse(network) ?? success(change(network))) : success(network);
    });
    if (!changed.ok && changed.error.kind !== 'network-not-found') return changed;
  }
  return undefined;
}

function withFormers(network: Network, change: (former: FormerServer) => FormerServer): Network {
  return { ...network, formerServers: network.formerServers.map(change) };
}

function withoutKept({ silentForS: _s, fenced: _f, ...former }: FormerServer): FormerServer {
  return former;
}
