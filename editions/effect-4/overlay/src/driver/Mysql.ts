/**
 * MySQL and MariaDB: not in this edition yet.
 */
import * as Effect from "effect/Effect"
import type { DbConfig } from "../DbConfig.js"
import { failure } from "../internal/driver/failure.js"
import type { Make } from "./Driver.js"

/** Refuses to open one. */
export const make: Make<DbConfig> = (config) =>
  Effect.fail(failure({
    _tag: "ConnectionError",
    reason: "Unsupported",
    what: "the edition for Effect 4 has no driver of MySQL and MariaDB yet",
    advice: "use PostgreSQL or SQLite, or dblive 0.x with Effect 3",
    outcome: "NotSent",
    database: config.name
  }))
