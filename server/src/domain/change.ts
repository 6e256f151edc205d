// What can happen to the documents of a store.

import type { Ipv4 } from '@leasehold/proto/values';
import type { Host } from './host.js';
import type { HostId, NetworkId } from './ids.js';
import type { Network } from './network.js';
import type { Slot } from './slot.js';

/** A durable change: the state a document has now, or that it is gone; `before`: the state it had, if it is known. */
export type Change =
  | { readonly kind: 'network'; readonly network: Network; readonly before?: Network | undefined }
  | { readonly kind: 'network-gone'; readonly networkId: NetworkId; readonly before?: Network | undefined }
  | { readonly kind: 'slot'; readonly slot: Slot; readonly before?: Slot | undefined }
  | {
      readonly kind: 'slot-gone';
      readonly networkId: NetworkId;
      readonly address: Ipv4;
      readonly before?: Slot | undefined;
    }
  | { readonly kind: 'host'; readonly host: Host; readonly before?: Host | undefined }
  | { readonly kind: 'host-gone'; readonly hostId: HostId; readonly before?: Host | undefined };
