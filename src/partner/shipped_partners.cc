#include "partner/shipped_partners.h"

namespace postback::partner {
namespace {

Partner involve_asia() {
  Partner partner;
  partner.partner_code = "involve_asia";
  partner.partner_name = "InvolveAsia";
  partner.endpoint_path = "/involve/event";
  partner.cloud_run_service_name = "bytec-public-postback";
  partner.database_name = "involve_asia_db";
  partner.parameter_mapping = {
      {"sub_id", "aff_sub"},
      {"media_id", "aff_sub2"},
      {"click_id", "aff_sub3"},
      {"usd_sale_amount", "usd_sale_amount"},
      {"usd_payout", "usd_payout"},
      {"offer_name", "offer_name"},
      {"conversion_id", "conversion_id"},
      {"conversion_datetime", "datetime_conversion"},
  };
  // It switches a postback URL off after nine errors in a row.
  partner.on_invalid = OnInvalid::accept;
  return partner;
}

Partner rector() {
  Partner partner;
  partner.partner_code = "rector";
  partner.partner_name = "Rector";
  partner.endpoint_path = "/rector/event";
  partner.cloud_run_service_name = "rector-postback";
  partner.database_name = "rector_db";
  for (const char* name : {"media_id", "sub_id", "usd_sale_amount", "usd_earning", "offer_name",
                           "conversion_id", "conversion_datetime", "click_id"}) {
    partner.parameter_mapping.push_back({name, name});
  }
  return partner;
}

}  // namespace

std::vector<Partner> shipped_partners() {
  return {involve_asia(), rector()};
}

}  // namespace postback::partner
