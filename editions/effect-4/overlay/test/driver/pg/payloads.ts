/** What a channel says, which `PgClient` gives in another form in Effect 3. */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import type { PgClient } from "../../../src/driver/Pg.js"

export const payloadsOf = (sql: PgClient, channel: string): Stream.Stream<string, SqlError> =>
  Stream.unwrap(Effect.map(sql.listen(channel), Stream.fromQueue)).pipe(Stream.map(({ payload }) => payload))
