"""What stands in the Salesforce twin's org: objects, their fields, their picklists.

Lengths, types and standard picklists are the vendor's defaults (Object Reference of the vendor's documentation); the
custom fields (`__c`) are what an admin adds for an integration hub.
"""

from __future__ import annotations

PREFIXES = {
    "Account": "001",
    "Contact": "003",
    "Lead": "00Q",
    "Opportunity": "006",
    "User": "005",
    "Campaign": "701",
    "CampaignMember": "00v",
    "Task": "00T",
}
# The twin's streams are called as the API's objects, but plural, in small letters and with _ between words.
STREAMS = {
    "User": "users",
    "Account": "accounts",
    "Contact": "contacts",
    "Lead": "leads",
    "Opportunity": "opportunities",
    "Campaign": "campaigns",
    "CampaignMember": "campaign_members",
    "Task": "tasks",
}
OBJECTS = {stream: name for name, stream in STREAMS.items()}
PERSON_OBJECTS = ("Contact", "Lead", "User")
MERGEABLE = ("Account", "Contact", "Lead")
MARKED = ("Account", "Contact", "Lead", "Opportunity", "Task")  # where an admin added a field for the hub's id
# What objects lack of the fields that nearly all have (Object Reference).
LACKING = {
    "User": ("OwnerId", "CurrencyIsoCode", "LastActivityDate"),
    "Task": ("CurrencyIsoCode", "LastActivityDate"),
    "CampaignMember": ("OwnerId", "LastActivityDate"),
}

PICKLISTS: dict[str, tuple[str, ...]] = {
    "salutation": ("Mr.", "Ms.", "Mrs.", "Dr.", "Prof.", "Mx."),
    "source": ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Trade Show", "Webinar", "Other"),
    "language": ("ar", "de", "el", "en", "es", "fr", "it", "ja", "pl"),
    "interest": ("Product", "Pricing", "Support", "Training"),
    "lead_status": ("Open - Not Contacted", "Working - Contacted", "Closed - Converted", "Closed - Not Converted"),
    "rating": ("Hot", "Warm", "Cold"),
    "industry": (
        *("Agriculture", "Banking", "Biotechnology", "Chemicals", "Construction", "Consulting", "Education", "Energy"),
        *("Engineering", "Finance", "Government", "Healthcare", "Hospitality", "Insurance", "Manufacturing", "Media"),
        *("Not For Profit", "Retail", "Technology", "Telecommunications", "Transportation", "Utilities", "Other"),
    ),
    "account_type": ("Prospect", "Customer - Direct", "Customer - Channel", "Technology Partner", "Other"),
    "ownership": ("Public", "Private", "Subsidiary", "Other"),
    "deal_type": ("New Customer", "Existing Customer - Upgrade", "Existing Customer - Replacement"),
    "forecast": ("Omitted", "Pipeline", "Best Case", "Commit", "Closed"),
    "currency": ("EUR", "USD", "GBP", "CHF", "PLN", "CZK", "SEK", "JPY", "AED", "SAR"),
}
PICKLISTS |= {
    "task_subject": ("Call", "Send Letter", "Send Quote", "Other"),
    "task_status": ("Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred"),
    "task_priority": ("High", "Normal", "Low"),
    "task_type": ("Call", "Email", "Meeting", "Other"),
    "campaign_type": (
        *("Conference", "Webinar", "Trade Show", "Public Relations", "Partners", "Referral Program", "Advertisement"),
        *("Banner Ads", "Direct Mail", "Email", "Telemarketing", "Other"),
    ),
    "campaign_status": ("Planned", "In Progress", "Completed", "Aborted"),
    "member_status": ("Sent", "Responded"),
}
# Stage -> probability in per cent, closed, won: the vendor's default sales process.
STAGES: dict[str, tuple[int, bool, bool]] = {
    "Prospecting": (10, False, False),
    "Qualification": (10, False, False),
    "Needs Analysis": (20, False, False),
    "Value Proposition": (50, False, False),
    "Id. Decision Makers": (60, False, False),
    "Perception Analysis": (70, False, False),
    "Proposal/Price Quote": (75, False, False),
    "Negotiation/Review": (90, False, False),
    "Closed Won": (100, True, True),
    "Closed Lost": (0, True, False),
}
PICKLISTS["stage"] = tuple(STAGES)

# One field a line: name, type[:length or scale], then marks. Marks: required; ro (no write by the API); new (on create
# only); =default; {picklist}; restricted; external (unique external id); ->Object (relationship name if it
# differs), ->One,Other if a record of either may stand there.
AUDIT = """
Id id ro
OwnerId reference ->User/Owner
CreatedDate datetime ro
CreatedById reference ro ->User/CreatedBy
LastModifiedDate datetime ro
LastModifiedById reference ro ->User/LastModifiedBy
SystemModstamp datetime ro
IsDeleted boolean ro
LastActivityDate date ro
CurrencyIsoCode picklist {currency} restricted =EUR
"""
MASTER = "MasterRecordId reference ro"
MARKER = "Hub_Id__c string:64 external"
FIELDS: dict[str, str] = {
    "Contact": """
AccountId reference ->Account
Salutation picklist {salutation}
FirstName string:40
LastName string:80 required
Name string:121 ro
Email email:80
Phone phone:40
MobilePhone phone:40
HomePhone phone:40
OtherPhone phone:40
Fax phone:40
Title string:128
Department string:80
Birthdate date
ReportsToId reference ->Contact
LeadSource picklist {source}
Description textarea:32000
MailingStreet textarea:255
MailingCity string:40
MailingState string:80
MailingPostalCode string:20
MailingCountry string:80
MailingAddress address ro
HasOptedOutOfEmail boolean
HasOptedOutOfFax boolean
DoNotCall boolean
EmailBouncedReason string:255
EmailBouncedDate datetime
Preferred_Language__c picklist {language} restricted
Interests__c multipicklist {interest}
""",
    "Lead": """
Salutation picklist {salutation}
FirstName string:40
LastName string:80 required
Name string:121 ro
Company string:255 required
Title string:128
Email email:80
Phone phone:40
MobilePhone phone:40
Website url:255
Street textarea:255
City string:40
State string:80
PostalCode string:20
Country string:80
Address address ro
LeadSource picklist {source}
Status picklist {lead_status} required =Open|-|Not|Contacted
Industry picklist {industry}
Rating picklist {rating}
AnnualRevenue currency:2
NumberOfEmployees int
HasOptedOutOfEmail boolean
DoNotCall boolean
Description textarea:32000
IsConverted boolean ro
ConvertedDate date ro
ConvertedAccountId reference ro ->Account/ConvertedAccount
ConvertedContactId reference ro ->Contact/ConvertedContact
ConvertedOpportunityId reference ro ->Opportunity/ConvertedOpportunity
Preferred_Language__c picklist {language} restricted
""",
    "Account": """
Name string:255 required
ParentId reference ->Account/Parent
Type picklist {account_type}
Industry picklist {industry}
Website url:255
Phone phone:40
Fax phone:40
AccountNumber string:40
Site string:80
BillingStreet textarea:255
BillingCity string:40
BillingState string:80
BillingPostalCode string:20
BillingCountry string:80
BillingAddress address ro
ShippingStreet textarea:255
ShippingCity string:40
ShippingState string:80
ShippingPostalCode string:20
ShippingCountry string:80
ShippingAddress address ro
AnnualRevenue currency:2
NumberOfEmployees int
Ownership picklist {ownership}
TickerSymbol string:20
Rating picklist {rating}
Sic string:20
AccountSource picklist {source}
Description textarea:32000
""",
    "Opportunity": """
Name string:120 required
AccountId reference ->Account
StageName picklist {stage} required
CloseDate date required
Amount currency:2
Probability percent:0
ExpectedRevenue currency:2 ro
TotalOpportunityQuantity double:2
Type picklist {deal_type}
NextStep string:255
LeadSource picklist {source}
IsClosed boolean ro
IsWon boolean ro
ForecastCategoryName picklist {forecast}
ContactId reference new ->Contact
Description textarea:32000
""",
    "User": """
Username string:80 ro
Salutation picklist {salutation} ro
FirstName string:40 ro
LastName string:80 ro
Name string:121 ro
Email email:128 ro
Phone phone:40 ro
Title string:80 ro
Department string:80 ro
IsActive boolean ro
UserType string:40 ro
TimeZoneSidKey string:40 ro
LanguageLocaleKey string:10 ro
""",
    "Campaign": """
Name string:80 required
Type picklist {campaign_type}
Status picklist {campaign_status} =Planned
StartDate date
EndDate date
IsActive boolean
ParentId reference ->Campaign/Parent
BudgetedCost currency:2
ActualCost currency:2
ExpectedRevenue currency:2
NumberSent double:0
NumberOfContacts int ro
NumberOfLeads int ro
NumberOfResponses int ro
Description textarea:32000
""",
    "CampaignMember": """
CampaignId reference new required ->Campaign
ContactId reference new ->Contact
LeadId reference new ->Lead
LeadOrContactId reference ro ->Contact,Lead/LeadOrContact
Status picklist {member_status} restricted =Sent
HasResponded boolean ro
FirstRespondedDate date ro
""",
    "Task": """
Subject combobox:255 {task_subject}
Status picklist {task_status} required =Not|Started
Priority picklist {task_priority} required =Normal
ActivityDate date
WhoId reference ->Contact,Lead/Who
WhatId reference ->Account,Opportunity,Campaign/What
Description textarea:32000
Type picklist {task_type}
IsClosed boolean ro
IsReminderSet boolean
ReminderDateTime datetime
""",
}
