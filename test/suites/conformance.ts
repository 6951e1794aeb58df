/** Every suite, over one database. */
import { errors } from "./errors.js"
import { fields } from "./fields.js"
import { health } from "./health.js"
import { leaks } from "./leaks.js"
import { limits } from "./limits.js"
import { migrations } from "./migrations.js"
import { retries } from "./retries.js"
import { rows } from "./rows.js"
import { sessions } from "./sessions.js"
import { streams } from "./streams.js"
import type { Target } from "./target.js"
import { testLayers } from "./testLayers.js"
import { transactions } from "./transactions.js"
import { transactionScope } from "./transactionScope.js"

/** `interrupts`: how many of them the search for leaks makes; `programs`: how many the search for misplaced statements runs. */
export const conformance = (target: Target, interrupts = 2_000, programs = 150): void =>
  target.describe(target.name, () => {
    sessions(target)
    transactions(target)
    rows(target)
    fields(target)
    streams(target)
    errors(target)
    limits(target)
    retries(target)
    transactionScope(target, programs)
    migrations(target)
    health(target)
    testLayers(target)
    leaks(target, interrupts)
  })
