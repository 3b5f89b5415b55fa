// Package auth checks the signatures of all requests to the embedded stack. It
// refuses a request that no key of this stack has signed, and gives every other
// request the Identity of its signer.
//
// What must hold:
//   - A signature is checked by signing the request again with the SDK's own
//     signer and comparing, so the check accepts what the SDK sends.
//   - A request's signature is at most 15 minutes older or newer than our clock;
//     a presigned link holds as long as it states, at most seven days.
//   - If the signature covers a hash of the body, the body has that hash. A body
//     sent as UNSIGNED-PAYLOAD, and the chunks of a STREAMING body, are not
//     checked: the connection is loopback.
//   - Each stack has one root key. Every other key belongs to a session of a role
//     and is valid only with its session token. The token is sealed with a key
//     that only the stack has, and contains all permissions of the session: so
//     there is no table of sessions that grows, and sessions survive a restart
//     if the root key does.
package auth
