// Peer: Go with fasthttp and pgx. One prepared INSERT ... ON CONFLICT DO NOTHING per request over a
// pool of connections; a goroutine per request waits for its row.
//
//	DATABASE_URL=postgresql://... PORT=8000 POOL=64 postback-go
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
	"github.com/valyala/fasthttp"
)

const partnerID = 2

// The statement is prepared once per connection, by pgx itself.
const insertConversion = `
INSERT INTO partner_conversions (partner_id, conversion_id, offer_name, conversion_datetime,
  usd_sale_amount, usd_earning, media_id, sub_id, click_id, raw_data, request_headers, request_ip,
  received_at, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5::text::numeric, $6::text::numeric, $7, $8, $9, $10, $11, $12,
  $13, $13, $13)
ON CONFLICT (conversion_id, partner_id) WHERE NOT is_duplicate DO NOTHING
RETURNING id`

// Our name to the partner's name, as the registry has it.
var mapping = map[string]string{
	"media_id": "media_id", "sub_id": "sub_id", "usd_sale_amount": "usd_sale_amount",
	"usd_earning": "usd_earning", "offer_name": "offer_name", "conversion_id": "conversion_id",
	"conversion_datetime": "conversion_datetime", "click_id": "click_id",
}

type partner struct {
	Code     string `json:"code"`
	Name     string `json:"name"`
	Endpoint string `json:"endpoint"`
}

var rector = partner{"rector", "Rector", "/rector/event"}

type conversion struct {
	ID            int64        `json:"id"`
	ConversionID  string       `json:"conversion_id"`
	OfferName     *string      `json:"offer_name"`
	UsdSaleAmount *json.Number `json:"usd_sale_amount"`
	UsdEarning    *json.Number `json:"usd_earning"`
	MediaID       *string      `json:"media_id"`
	SubID         *string      `json:"sub_id"`
	ClickID       *string      `json:"click_id"`
}

type success struct {
	Status           string     `json:"status"`
	Partner          partner    `json:"partner"`
	Conversion       conversion `json:"conversion"`
	ProcessingTimeMs float64    `json:"processing_time_ms"`
	Message          string     `json:"message"`
}

type duplicate struct {
	Status       string `json:"status"`
	Partner      string `json:"partner"`
	ConversionID string `json:"conversion_id"`
	Message      string `json:"message"`
}

type server struct {
	pool *pgxpool.Pool
}

func answer(ctx *fasthttp.RequestCtx, status int, body interface{}) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	if err := json.NewEncoder(ctx).Encode(body); err != nil {
		ctx.Error("cannot encode", fasthttp.StatusInternalServerError)
	}
}

func refuse(ctx *fasthttp.RequestCtx, status int, message string) {
	answer(ctx, status, map[string]interface{}{
		"status": "error", "error": map[string]string{"message": message}})
}

// The query and, of a POST, its JSON object; numbers keep their digits.
func parameters(ctx *fasthttp.RequestCtx) (map[string]string, error) {
	fields := make(map[string]string, 12)
	ctx.QueryArgs().VisitAll(func(name, value []byte) { fields[string(name)] = string(value) })
	if ctx.IsPost() {
		decoder := json.NewDecoder(bytes.NewReader(ctx.PostBody()))
		decoder.UseNumber()
		body := map[string]interface{}{}
		if err := decoder.Decode(&body); err != nil {
			return nil, err
		}
		for name, value := range body {
			switch typed := value.(type) {
			case string:
				fields[name] = typed
			case json.Number:
				fields[name] = typed.String()
			default:
				return nil, errors.New(name + " is neither text nor number")
			}
		}
	}
	for ours, theirs := range mapping {
		if value, given := fields[theirs]; given {
			if _, own := fields[ours]; !own {
				fields[ours] = value
			}
		}
	}
	return fields, nil
}

func text(fields map[string]string, name string) *string {
	if value, given := fields[name]; given {
		return &value
	}
	return nil
}

func amount(fields map[string]string, name string) (*json.Number, error) {
	value, given := fields[name]
	if !given {
		return nil, nil
	}
	if _, err := strconv.ParseFloat(value, 64); err != nil {
		return nil, errors.New(name + " is not an amount")
	}
	number := json.Number(value)
	return &number, nil
}

func date(fields map[string]string, name string) (*time.Time, error) {
	value, given := fields[name]
	if !given {
		return nil, nil
	}
	for _, form := range []string{"2006-01-02", "2006-01-02 15:04:05", time.RFC3339} {
		if parsed, err := time.Parse(form, value); err == nil {
			return &parsed, nil
		}
	}
	return nil, errors.New(name + " is not a date")
}

func (s *server) store(ctx *fasthttp.RequestCtx) {
	started := time.Now()
	fields, err := parameters(ctx)
	if err != nil {
		refuse(ctx, fasthttp.StatusBadRequest, err.Error())
		return
	}
	conversionID := fields["conversion_id"]
	sale, saleErr := amount(fields, "usd_sale_amount")
	earning, earningErr := amount(fields, "usd_earning")
	when, dateErr := date(fields, "conversion_datetime")
	if conversionID == "" || saleErr != nil || earningErr != nil || dateErr != nil {
		refuse(ctx, fasthttp.StatusUnprocessableEntity, "not a valid conversion")
		return
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		refuse(ctx, fasthttp.StatusBadRequest, err.Error())
		return
	}
	headers := make(map[string]string, 8)
	ctx.Request.Header.VisitAll(func(name, value []byte) { headers[string(name)] = string(value) })
	headersJSON, err := json.Marshal(headers)
	if err != nil {
		refuse(ctx, fasthttp.StatusBadRequest, err.Error())
		return
	}
	row := conversion{ConversionID: conversionID, OfferName: text(fields, "offer_name"),
		UsdSaleAmount: sale, UsdEarning: earning, MediaID: text(fields, "media_id"),
		SubID: text(fields, "sub_id"), ClickID: text(fields, "click_id")}
	err = s.pool.QueryRow(context.Background(), insertConversion, partnerID, conversionID,
		row.OfferName, when, (*string)(sale), (*string)(earning), row.MediaID, row.SubID,
		row.ClickID, string(raw), string(headersJSON), ctx.RemoteIP().String(),
		started).Scan(&row.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		answer(ctx, fasthttp.StatusOK, duplicate{"duplicate", rector.Name, conversionID,
			"Duplicate conversion detected"})
		return
	}
	if err != nil {
		log.Print(err)
		refuse(ctx, fasthttp.StatusServiceUnavailable, "database unavailable")
		return
	}
	answer(ctx, fasthttp.StatusOK, success{"success", rector, row,
		float64(time.Since(started).Microseconds()) / 1000, "Conversion processed successfully"})
}

func (s *server) handle(ctx *fasthttp.RequestCtx) {
	switch string(ctx.Path()) {
	case "/partner/rector/event":
		s.store(ctx)
	case "/health":
		answer(ctx, fasthttp.StatusOK, map[string]string{"status": "healthy"})
	default:
		refuse(ctx, fasthttp.StatusNotFound, "no such path")
	}
}

func main() {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	size, err := strconv.Atoi(os.Getenv("POOL"))
	if err != nil {
		log.Fatal("POOL: ", err)
	}
	config.MaxConns = int32(size)
	pool, err := pgxpool.ConnectConfig(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{pool}
	log.Fatal(fasthttp.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), s.handle))
}
