/** What a database for tests can be told to do. */
import * as DbTest from "../../src/DbTest.js"
import { sqlite } from "./database.js"

export const byPlan = DbTest.flaky(sqlite, [
  { on: "connect", nth: 2, fault: "Refused" }, // or TooManyConnections, ServerStarting, Timeout
  { on: "statement", match: "UPDATE", nth: 2, fault: "Deadlock" }, // or Serialization, LockTimeout, Timeout
  { on: "statement", nth: 5, fault: "LostBefore" }, // or LostDuring, LostAfter
  { on: "statement", match: /^INSERT/, delay: "30 seconds" },
  { on: "commit", fault: "LostAfter" }, // applied, and the client cannot know
  { on: "outage", after: "1 minute", for: "5 minutes" }
])

export const atRandom = DbTest.flaky(sqlite, {
  seed: 42,
  statement: { LostBefore: 0.05 },
  commit: { Serialization: 0.1 }
})
