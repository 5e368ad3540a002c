// Package election lets members that share nothing but one append-only list of records agree on which of them leads.
//
// A leader adds a beat to the list again and again. Who reads no beat for longer than its patience adds a claim of the next term, and the
// list's order decides: the first claim of a term wins, and only if the leader gave no sign of life between what the claimant had read and
// the claim. A leader that resigns makes room at once.
//
// Nothing here keeps two members from believing that they lead: one that was paused believes it until it reads on. What must not be
// done by two needs a fence of its own.
//
// Only durations on the member's own clock count, and only while the list can be read: a list that does not answer says nothing about the
// leader, and a member that was paused waits anew.
package election
