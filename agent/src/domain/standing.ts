// How far this agent may trust its table now.

/**
 * Asked before every answer. `silent`: no authority, answer nobody. `synchronised`: the control plane was heard within
 * three heartbeat intervals. `behind`: it was not; a sibling may know better, so never NAK, and OFFER a second later.
 */
export type Standing = 'silent' | 'synchronised' | 'behind';
