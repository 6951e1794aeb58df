/** What a channel says, which `PgClient` gives in another form in Effect 4. */
import type { SqlError } from "@effect/sql/SqlError"
import type * as Stream from "effect/Stream"
import type { PgClient } from "../../../src/driver/Pg.js"

export const payloadsOf = (sql: PgClient, channel: string): Stream.Stream<string, SqlError> => sql.listen(channel)
