/** Raw `pg` whose statements have names, so that the server parses them once per connection. */
import { openPg } from "./pg/openPg.js"

export const open = openPg({ named: true })
