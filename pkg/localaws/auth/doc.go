// Package auth is the front door of the embedded stack: no request passes that
// is not signed by a key of this stack, and what passes carries the Identity
// that signed it.
//
// What must hold:
//   - A signature is checked by signing the request again with the SDK's own
//     signer and comparing, so what the SDK sends is what is accepted.
//   - A request is signed within 15 minutes of our clock; a presigned one
//     lives as long as it says, at most seven days.
//   - Where the signature covers a hash of the body, the body has that hash.
//     Bodies that are sent as UNSIGNED-PAYLOAD, and the chunks of a STREAMING
//     body, are taken as they come: the connection is loopback.
//   - There is one root key for each stack. Every other key belongs to a
//     session of a role and says nothing without its session token. The token
//     is sealed with a key that only the stack has and holds all that the
//     session may do: no table of sessions grows, and sessions outlive a
//     restart where the root key does.
package auth
