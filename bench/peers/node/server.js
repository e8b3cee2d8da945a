// Peer: Node with fastify and postgres.js. A worker process per CPU; one prepared
// INSERT ... ON CONFLICT DO NOTHING per request, which postgres.js sends in pipelines over its pool.
//
//   DATABASE_URL=postgresql://... PORT=8000 POOL=32 WORKERS=2 node server.js
'use strict'

const cluster = require('node:cluster')
const fastify = require('fastify')
const postgres = require('postgres')

const PARTNER = { code: 'rector', name: 'Rector', endpoint: '/rector/event' }
const PARTNER_ID = 2
// Our name to the partner's name, as the registry has it.
const MAPPING = Object.fromEntries(['media_id', 'sub_id', 'usd_sale_amount', 'usd_earning',
  'offer_name', 'conversion_id', 'conversion_datetime', 'click_id'].map(name => [name, name]))
const AMOUNT = /^[+-]?\d+(\.\d+)?$/

const text = { type: ['string', 'null'] }
const answerSchema = {
  200: {
    type: 'object',
    properties: {
      status: { type: 'string' },
      partner: {},
      conversion_id: { type: 'string' },
      conversion: {
        type: 'object',
        properties: {
          id: { type: 'integer' },
          conversion_id: { type: 'string' },
          offer_name: text,
          usd_sale_amount: { type: ['number', 'null'] },
          usd_earning: { type: ['number', 'null'] },
          media_id: text,
          sub_id: text,
          click_id: text
        }
      },
      processing_time_ms: { type: 'number' },
      message: { type: 'string' }
    }
  }
}

function serve () {
  const sql = postgres(process.env.DATABASE_URL, { max: Number(process.env.POOL || 16) })
  const app = fastify({ logger: false })

  function refused (reply, message) {
    reply.code(422)
    return { status: 'error', error: { message } }
  }

  async function store (request, reply) {
    const started = process.hrtime.bigint()
    const raw = { ...request.query, ...(request.body || {}) }
    for (const [ours, theirs] of Object.entries(MAPPING)) {
      if (raw[ours] === undefined && raw[theirs] !== undefined) raw[ours] = raw[theirs]
    }
    if (!raw.conversion_id) return refused(reply, 'conversion_id is missing')
    for (const name of ['usd_sale_amount', 'usd_earning']) {
      if (raw[name] !== undefined && !AMOUNT.test(String(raw[name]))) {
        return refused(reply, `${name} is not an amount`)
      }
    }
    const date = raw.conversion_datetime === undefined ? null : new Date(raw.conversion_datetime)
    if (date !== null && Number.isNaN(date.getTime())) {
      return refused(reply, 'conversion_datetime is not a date')
    }
    const given = name => raw[name] === undefined ? null : String(raw[name])
    const now = new Date()
    const rows = await sql`
      INSERT INTO partner_conversions (partner_id, conversion_id, offer_name,
        conversion_datetime, usd_sale_amount, usd_earning, media_id, sub_id, click_id, raw_data,
        request_headers, request_ip, received_at, created_at, updated_at)
      VALUES (${PARTNER_ID}, ${String(raw.conversion_id)}, ${given('offer_name')}, ${date},
        ${given('usd_sale_amount')}, ${given('usd_earning')}, ${given('media_id')},
        ${given('sub_id')}, ${given('click_id')}, ${sql.json(raw)}, ${sql.json(request.headers)},
        ${request.ip}, ${now}, ${now}, ${now})
      ON CONFLICT (conversion_id, partner_id) WHERE NOT is_duplicate DO NOTHING
      RETURNING id`
    if (rows.length === 0) {
      return {
        status: 'duplicate',
        partner: PARTNER.name,
        conversion_id: String(raw.conversion_id),
        message: 'Duplicate conversion detected'
      }
    }
    const number = name => raw[name] === undefined ? null : Number(raw[name])
    return {
      status: 'success',
      partner: PARTNER,
      conversion: {
        id: Number(rows[0].id),
        conversion_id: String(raw.conversion_id),
        offer_name: given('offer_name'),
        usd_sale_amount: number('usd_sale_amount'),
        usd_earning: number('usd_earning'),
        media_id: given('media_id'),
        sub_id: given('sub_id'),
        click_id: given('click_id')
      },
      processing_time_ms: Number(process.hrtime.bigint() - started) / 1e6,
      message: 'Conversion processed successfully'
    }
  }

  const schema = { response: answerSchema }
  app.get('/partner/rector/event', { schema }, store)
  app.post('/partner/rector/event', { schema }, store)
  app.get('/health', async () => ({ status: 'healthy' }))
  app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })
}

if (cluster.isPrimary) {
  const count = Number(process.env.WORKERS || 2)
  for (let i = 0; i < count; ++i) cluster.fork()
} else {
  serve()
}
