/** Every suite, over one database. */
import { errors } from "./errors.js"
import { leaks } from "./leaks.js"
import { limits } from "./limits.js"
import { sessions } from "./sessions.js"
import { streams } from "./streams.js"
import type { Target } from "./target.js"
import { transactions } from "./transactions.js"

/** `interrupts`: how many of them the search for leaks makes. */
export const conformance = (target: Target, interrupts = 2_000): void =>
  target.describe(target.name, () => {
    sessions(target)
    transactions(target)
    streams(target)
    errors(target)
    limits(target)
    leaks(target, interrupts)
  })
