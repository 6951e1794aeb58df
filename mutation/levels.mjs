import { settings } from "./settings.mjs"

/** The levels of a session, the write lock, and what the database commits by itself. */
export default settings("levels", [
  "src/internal/session/TransactionLevel.ts",
  "src/internal/session/WriteLock.ts",
  "src/internal/session/implicitCommit.ts",
  "src/internal/session/TransactionState.ts"
])
