import { settings } from "./settings.mjs"

/** Sessions, their requests, their levels, and the wait for a connection. */
export default settings("session", [
  "src/internal/session/{LevelEnd,RequestQueue,Session,SessionCursor,SessionLock,SessionWait,SentAhead,beginLevel,control}.ts",
  "src/internal/pool/AcquireRequest.ts"
])
