// Package supervise runs parts of a check in processes of their own, so that they can be killed at any moment: this very program again, with the
// part's name as its argument ([Process]; the child calls [Serve]).
package supervise
