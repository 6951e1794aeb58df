/** Every suite, over one database. */
import { errors } from "./errors.js"
import { leaks } from "./leaks.js"
import { sessions } from "./sessions.js"
import { streams } from "./streams.js"
import type { Target } from "./target.js"
import { transactions } from "./transactions.js"

export const conformance = (target: Target): void =>
  target.describe(target.name, () => {
    sessions(target)
    transactions(target)
    streams(target)
    errors(target)
    leaks(target)
  })
