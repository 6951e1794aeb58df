import { settings } from "./settings.mjs"

/** Sessions and transactions, but for what `levels` has. */
export default settings("session", [
  "src/internal/session/*.ts",
  "!src/internal/session/{TransactionLevel,TransactionState,WriteLock,ImplicitCommit}.ts",
  "src/internal/pool/AcquireRequest.ts"
])
