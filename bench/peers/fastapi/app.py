"""Peer: FastAPI with SQLAlchemy, in the shape of this system's first version.

A row per request: SELECT for the duplicate, INSERT, COMMIT, over a pool of connections and
synchronous handlers in the framework's threads, as both projects' own tutorials show it.

    DATABASE_URL=postgresql://... POOL=16 python3 -m uvicorn app:app --workers 2
"""

import json
import os
import time
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, Dict

from fastapi import Body, Depends, FastAPI, HTTPException, Request
from sqlalchemy import (JSON, BigInteger, Boolean, Column, DateTime, Identity, Integer, Numeric,
                        String, Text, create_engine)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, declarative_base, sessionmaker

# The pool is per process; what exceeds it waits for a connection.
engine = create_engine(os.environ["DATABASE_URL"], pool_size=int(os.environ.get("POOL", "16")),
                       max_overflow=0, pool_timeout=60, json_serializer=json.dumps)
SessionLocal = sessionmaker(bind=engine, autoflush=False, expire_on_commit=False)
Base = declarative_base()
app = FastAPI()

PARTNER = {"code": "rector", "name": "Rector", "endpoint": "/rector/event"}
PARTNER_ID = 2
# Our name to the partner's name, as the registry has it.
MAPPING = {name: name for name in ("media_id", "sub_id", "usd_sale_amount", "usd_earning",
                                   "offer_name", "conversion_id", "conversion_datetime",
                                   "click_id")}


class Conversion(Base):
    __tablename__ = "partner_conversions"
    id = Column(BigInteger, Identity(), primary_key=True)
    partner_id = Column(Integer, nullable=False)
    conversion_id = Column(String(255), nullable=False)
    offer_id = Column(String(50))
    offer_name = Column(Text)
    conversion_datetime = Column(DateTime(timezone=True))
    usd_sale_amount = Column(Numeric)
    usd_earning = Column(Numeric)
    media_id = Column(String(255))
    sub_id = Column(String(255))
    click_id = Column(String(255))
    is_processed = Column(Boolean, nullable=False, default=False)
    is_duplicate = Column(Boolean, nullable=False, default=False)
    processing_error = Column(Text)
    raw_data = Column(JSON)
    request_headers = Column(JSON)
    request_ip = Column(String(45))
    received_at = Column(DateTime(timezone=True), nullable=False)
    created_at = Column(DateTime(timezone=True), nullable=False)
    updated_at = Column(DateTime(timezone=True), nullable=False)


def get_session():
    session = SessionLocal()
    try:
        yield session
    finally:
        session.close()


def amount(fields, name):
    if fields.get(name) is None:
        return None
    try:
        return Decimal(str(fields[name]))
    except InvalidOperation as error:
        raise HTTPException(422, f"{name} is not an amount") from error


def date(fields, name):
    if fields.get(name) is None:
        return None
    try:
        value = datetime.fromisoformat(fields[name])
    except ValueError as error:
        raise HTTPException(422, f"{name} is not a date") from error
    return value if value.tzinfo else value.replace(tzinfo=timezone.utc)


def duplicate(conversion_id):
    return {"status": "duplicate", "partner": PARTNER["name"], "conversion_id": conversion_id,
            "message": "Duplicate conversion detected"}


def store(request, parameters, session):
    started = time.perf_counter()
    raw = dict(parameters)
    for ours, theirs in MAPPING.items():
        if theirs in parameters:
            raw.setdefault(ours, parameters[theirs])
    conversion_id = raw.get("conversion_id")
    if not conversion_id:
        raise HTTPException(422, "conversion_id is missing")
    known = session.query(Conversion.id).filter(
        Conversion.conversion_id == conversion_id, Conversion.partner_id == PARTNER_ID,
        Conversion.is_duplicate.is_(False)).first()
    if known:
        return duplicate(conversion_id)
    now = datetime.now(timezone.utc)
    row = Conversion(
        partner_id=PARTNER_ID, conversion_id=conversion_id, offer_name=raw.get("offer_name"),
        conversion_datetime=date(raw, "conversion_datetime"),
        usd_sale_amount=amount(raw, "usd_sale_amount"), usd_earning=amount(raw, "usd_earning"),
        media_id=raw.get("media_id"), sub_id=raw.get("sub_id"), click_id=raw.get("click_id"),
        raw_data=raw, request_headers=dict(request.headers), request_ip=request.client.host,
        received_at=now, created_at=now, updated_at=now)
    session.add(row)
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        return duplicate(conversion_id)
    return {"status": "success", "partner": PARTNER,
            "conversion": {"id": row.id, "conversion_id": row.conversion_id,
                           "offer_name": row.offer_name, "usd_sale_amount": row.usd_sale_amount,
                           "usd_earning": row.usd_earning, "media_id": row.media_id,
                           "sub_id": row.sub_id, "click_id": row.click_id},
            "processing_time_ms": round((time.perf_counter() - started) * 1000, 3),
            "message": "Conversion processed successfully"}


@app.get("/partner/rector/event")
def get_event(request: Request, session: Session = Depends(get_session)):
    return store(request, dict(request.query_params), session)


@app.post("/partner/rector/event")
def post_event(request: Request, body: Dict[str, Any] = Body(...),
               session: Session = Depends(get_session)):
    return store(request, {**request.query_params, **body}, session)


@app.get("/health")
def health():
    return {"status": "healthy"}
